"""What is written on the pictures of benchmarks.reading: texts as people write them on signs, by language."""

TEXTS = {
    "en": ["OPEN", "Open daily", "coffee & tea", "Route 66", "50% OFF", "ICE\nCREAM", "Quality since 1924", "No parking!"],
    "de": ["Café Müller", "GRÜẞE", "Frische Brötchen", "Straße gesperrt", "Öffnungszeiten\n9-18 Uhr", "Nur 5,99 €", "Bäckerei", "TÜR ZU"],
    "fr": ["Boulangerie", "Fermé le lundi", "CRÊPES", "À vendre", "L'école", "Hôtel du Nord", "Prêt-à-porter", "Déjeuner\n12 €"],
    "es": ["Panadería", "¡Oferta!", "Niños", "Cerrado", "Café con leche", "Piñata", "SALIDA\nURGENCIAS", "Mañana 24 h"],
    "pl": ["Sklep", "Żółta łódź", "Piekarnia", "Świeże bułki", "ZAKAZ WJAZDU", "Lody\ni gofry", "Księgarnia", "Wyjście"],
    "tr": ["Açık", "Kahvaltı", "ÇIKIŞ", "Güzel şehir", "Fırın", "Kitapçı\nve çay", "İstanbul", "Öğle yemeği"],
    "ru": ["КОФЕ", "Открыто", "Свежий хлеб", "Аптека", "Книги\nи кофе", "ВЫХОД", "Ёлка", "Скидка 50%"],
    "zh": ["咖啡", "营业中", "欢迎光临", "小心地滑", "新鲜\n水果", "图书馆", "八折优惠", "出口 2"],
    "ja": ["喫茶店", "営業中", "いらっしゃいませ", "コーヒー", "本日\n休業", "非常口", "ラーメン", "禁煙"],
    "ko": ["카페", "영업중", "어서 오세요", "신선한 빵", "출구\n주차장", "서점", "할인 50%", "금연"],
    "ar": ["مقهى", "مفتوح", "خبز طازج", "مكتبة", "ممنوع الوقوف", "خروج", "صيدلية", "أهلا وسهلا"],
}
